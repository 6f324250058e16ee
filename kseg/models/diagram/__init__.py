"""The architecture of a model as a picture, read from its graph."""
