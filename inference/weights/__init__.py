"""Safetensors out of any file of weights: streamed from byte ranges, cast (by numpy; torch where that pays), read back. No pickle."""
