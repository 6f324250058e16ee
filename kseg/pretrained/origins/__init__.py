"""Where PyTorch checkpoints come from: one file per library, each telling how its networks are laid out and named."""
