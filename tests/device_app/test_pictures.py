import cv2
import numpy as np

from device_app.pictures import heat_png, screen_png
from runtime.radiograph import AcquisitionFacts, Radiograph
from tests.device_app.sample import forearm


def decode(data, flags=cv2.IMREAD_UNCHANGED):
    return cv2.imdecode(np.frombuffer(data, np.uint8), flags)


def test_twelve_bits_are_windowed_to_the_whole_gray_scale():
    shown = decode(screen_png(Radiograph(forearm(1.0), 12, "0" * 64)))
    assert shown.shape == (520, 400) and shown.dtype == np.uint8
    assert shown.min() == 0 and shown.max() == 255 and np.unique(shown).size > 200


def test_the_windowing_keeps_the_order_of_gray_values():
    pixels = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    shown = decode(screen_png(Radiograph(pixels, 12, "0" * 64))).astype(int).ravel()
    assert (np.diff(shown) >= 0).all()


def test_the_window_of_the_file_is_used():
    pixels = np.array([[0, 900, 1000, 1100, 4000]], np.uint16)
    facts = AcquisitionFacts(window=(1000.0, 200.0))
    shown = decode(screen_png(Radiograph(pixels, 12, "0" * 64, facts=facts)))
    assert shown[0].tolist() == [0, 0, 128, 255, 255]


def test_a_large_picture_is_reduced_and_keeps_its_shape():
    shown = decode(screen_png(Radiograph(np.zeros((300, 900), np.uint16), 12, "0" * 64), side_px=300))
    assert shown.shape == (100, 300)


def test_a_blank_picture_has_a_screen_too():
    assert decode(screen_png(Radiograph(np.full((9, 9), 7, np.uint16), 8, "0" * 64))).shape == (9, 9)


def test_heat_is_seen_where_the_evidence_is_and_nowhere_else():
    evidence = np.zeros((20, 10), np.float32)
    evidence[15, 8] = 1.0
    heat = decode(heat_png(evidence, 100, 200))
    assert heat.shape == (200, 100, 4)
    alpha = heat[..., 3]
    assert alpha[150:160, 80:90].max() > 150 and alpha[:120].max() == 0 and alpha[:, :60].max() == 0


def test_a_window_that_misses_the_picture_is_not_used():
    pixels = forearm(1.0)
    for window in ((60_000.0, 100.0), (2_000.0, 4_000_000.0), (2_000.0, 1e-13), (2_000.0, 0.5)):
        facts = AcquisitionFacts(window=window)
        shown = decode(screen_png(Radiograph(pixels, 12, "0" * 64, facts=facts)))
        assert np.unique(shown).size > 200
