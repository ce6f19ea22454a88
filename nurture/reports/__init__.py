"""Reports: what happened, counted. Each is a frozen value; printing it is `cli`."""
