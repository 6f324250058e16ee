import numpy as np

from kseg.export import structured_images


def test_images_are_different_and_repeat():
    images = structured_images(33, 47, 3)
    assert images.shape == (4, 33, 47, 3) and images.dtype == np.uint8
    assert np.array_equal(images, structured_images(33, 47, 3))
    assert len({image.tobytes() for image in images}) == 4


def test_flips_and_band_swaps_show():
    for image in structured_images(40, 60, 3).astype(int):
        for other in (image[::-1], image[:, ::-1], image[..., ::-1]):
            assert np.abs(image - other).mean() > 1


def test_any_number_of_bands_and_any_size():
    for channels in (1, 4, 13):
        assert structured_images(1, 5, channels).shape == (4, 1, 5, channels)
