"""The parity report in words."""


def rows(report):
    """Return `report` as (name, value) strings, in reading order; what was not measured is left out."""
    found = [("kind", report.kind + (f", {report.quantize}" if report.quantize else ""))]
    found.append(("size", f"{report.size_bytes / 1e6:.2f} MB"))
    found.append(("compared on", ", ".join(f"{count} images of {height} x {width}"
                                           for count, height, width in report.images)))
    if report.max_abs_difference is not None:
        found.append(("largest difference", f"{report.max_abs_difference:.3g} (largest logit "
                      f"{report.largest_logit:.3g})"))
        found.append(("mean difference", f"{report.mean_abs_difference:.3g}"))
    found.append(("label agreement", f"{100 * report.label_agreement:.3f} %"))
    if report.bytes_agreement is not None:
        found.append(("agreement from bytes", f"{100 * report.bytes_agreement:.3f} %"))
    if report.miou_original is not None:
        found.append(("mean IoU", f"{report.miou_exported:.4f} (Keras {report.miou_original:.4f}, "
                      f"{report.miou_change:+.4f})"))
    for name, times in report.latency.items():
        found.append((f"time, {name}", f"{times['median_ms']:.1f} ms ({times['least_ms']:.1f} to "
                      f"{times['most_ms']:.1f}, {times['runs']} runs)"))
    found.append(("operators", ", ".join(f"{name} {count}" for name, count in report.operators.items())))
    if report.kind == "tflite":
        found.append(("not on a GPU delegate", ", ".join(report.gpu_unfriendly_operators) or "none"))
    for entry in report.layer_errors[:5]:
        found.append(("loses most", f"{entry['error']:.3f} {entry['operator']} {entry['tensor']}"))
    found.append(("verdict", "; ".join(report.failures) or "the exported model answers as the original"))
    return found
