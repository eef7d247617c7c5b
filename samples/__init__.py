"""What a new hub shows on its first day: small files made by this project, and the scripts that made them. Not part of the running hub."""
