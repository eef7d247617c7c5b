"""What a weight file is, told from names, shapes and metadata: a table of rules and the code that reads it. Reads no weights."""
