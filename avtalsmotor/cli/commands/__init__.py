"""What may be typed: names, options and help texts. Nothing here does anything but call the action of the same name."""
