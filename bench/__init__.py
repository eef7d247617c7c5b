"""Figures: one command a bar, the baseline of the same run beside ours, the ratio last."""
