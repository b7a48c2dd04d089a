"""Where INT8 loses too much and layers in float do not mend it: the network learns to bear the rounding."""
