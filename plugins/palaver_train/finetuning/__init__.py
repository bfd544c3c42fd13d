"""Go on training a model of others, a causal or a sequence-to-sequence one, on examples of yours."""
