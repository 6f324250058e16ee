"""Adversarial fine-tuning: a segmenter trained on against a network that tells annotations from predictions.

Reference: Luc et al., Semantic Segmentation using Adversarial Networks, NIPS workshop 2016, arXiv:1611.08408.
"""
