"""Safetensors out of any file of weights: streamed from byte ranges, cast by numpy, compared afterwards. No torch, no pickle."""
