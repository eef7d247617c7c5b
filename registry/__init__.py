"""What the hub knows: entries, versions, files, blobs, people, and the life of a file. Knows no protocol and no page."""
