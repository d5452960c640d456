"""One module a file format, writer and reader side by side, behind one registry."""
