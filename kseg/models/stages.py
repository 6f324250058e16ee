"""Which of an encoder's stages a decoder reads."""

from kseg import checks


def require_stages(features, needed, encoder_name, builder):
    """Return the features named in `needed`, in that order.

    Args:
        features: dict, stage name to `KerasTensor`, as an encoder gives it.
        needed: sequence of str, for example ("c3", "c4", "c5").
        encoder_name: what the caller passed, for the error sentence.
        builder: str, name of the model.
    Raises:
        ValueError: if the encoder lacks one of them.
    """
    missing = [stage for stage in needed if stage not in features]
    if missing:
        shown = encoder_name if isinstance(encoder_name, str) else type(encoder_name).__name__
        raise ValueError(checks.sentence(
            "encoder_name", f"must have the stages {', '.join(needed)} for {builder} (it lacks {', '.join(missing)})",
            shown, "Choose an encoder with five stages, for example 'resnet50'."))
    return [features[stage] for stage in needed]
