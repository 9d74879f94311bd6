"""What a training run keeps in its folder: settings, log, sheets of faces."""
