"""The learned forecaster: windows, network, training, serving. The only room that may import tensorflow."""
