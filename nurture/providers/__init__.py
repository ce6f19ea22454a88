"""Services that carry mail, one file each. The configured name is the module's name."""
