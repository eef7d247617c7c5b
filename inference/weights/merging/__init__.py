"""Checkpoints out of checkpoints: A1111's merge formulas, block weights, a baked VAE and baked LoRAs, streamed. No Django, no pickle."""
