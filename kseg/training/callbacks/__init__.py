"""What happens at the end of an epoch: best model, pictures, logs, the state to go on from, the page.

With a moving average of the weights, Keras's SwapEMAWeights puts the averages into the model for validation only;
`BestModel` and `Panel` therefore act when validation ends, before the weights are swapped back, and `Record` saves
the state after that.
"""
