"""The models and their training. Written against the Keras API alone: TensorFlow is the default backend."""
