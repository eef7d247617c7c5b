"""Safetensors out of any file of weights: streamed from byte ranges, cast (by numpy, or torch's library), read back. No pickle."""
