"""Readers of weight files: plain Python over untrusted bytes, with limits before parsing. Knows no Django and runs nothing."""
