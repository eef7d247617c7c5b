"""Is this file safe, and what is in it? Judges bytes without ever running them; knows nothing of conversion or pages."""
