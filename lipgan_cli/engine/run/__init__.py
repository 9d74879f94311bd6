"""What a training run keeps in its folder: settings, log, plots, sheets of faces."""
