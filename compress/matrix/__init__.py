"""Every network and classical baseline, on every engine, in both precisions: one table."""
