"""Reading what images say of their making."""
