"""Where INT8 loses too much: the layers that do the harm go back to float, and others judge the rest."""
