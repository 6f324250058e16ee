"""What every exported model must keep, callable on any model of the library."""

import kseg
from kseg.export import lite, operators, parity, structured_images
from kseg.export.runner import TFLiteModel

# Operators that would mean a variable left unfrozen, a dilation outside its convolution, or a Flex delegate.
FORBIDDEN = {"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE", "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND",
             "WHILE", "IF"}
FORBIDDEN_IN_TENSORFLOW = {"VarHandleOp", "ReadVariableOp", "SpaceToBatchND", "BatchToSpaceND", "IdentityN"}


def check_tflite(model, image_size=(65, 97), quantize=None, least_agreement=0.999, largest_difference=1e-3):
    """Convert `model` in memory; check operators and agreement; return the fields of the comparison and operators."""
    samples = structured_images(*image_size, model.inputs[0].shape[-1]).astype("float32")
    content = lite.convert(model, image_size, quantize, "logits", samples)
    counts = operators.tflite_operators(content)
    assert not FORBIDDEN & set(counts), sorted(FORBIDDEN & set(counts))
    assert not [name for name in counts if name.startswith(("CUSTOM", "FLEX"))], counts
    found = parity.compare(lite.keras_function(model), TFLiteModel(content), [samples[:2].astype("uint8")])
    assert found["label_agreement"] >= least_agreement, found
    if quantize is None:
        assert found["max_abs_difference"] <= largest_difference * max(found["largest_logit"], 1e-6), found
    return {**found, "operators": counts, "gpu_unfriendly": operators.gpu_unfriendly(counts), "size": len(content)}


def check_saved_model(model, path, image_size=(None, None)):
    """Export `model` to `path`; check operators and agreement, from pixels and from encoded images."""
    report = kseg.export.saved_model(model, path, image_size=image_size, minimum_agreement=0.999)
    assert not FORBIDDEN_IN_TENSORFLOW & set(report.operators)
    return report
