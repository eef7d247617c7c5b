"""Trains the sample family: networks under their Stable Diffusion 1.x names, plain training loops, and the files they leave.

It renders nothing for the hub: that is `inference/diffusion`.
"""
