"""The only reader of sequences and templates: load the folder, compile what it holds, render it per contact."""
