"""How sure a network may be said to be: its probabilities, made as right as they say, and how unsure is unusual."""

import numpy as np
from scipy.optimize import minimize_scalar

LEAST = 1e-12  # of a probability in a logarithm
WORTH = 1e-3  # nats a picture that another temperature has to gain


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Returns the temperature that makes probabilities the most likely for what is true; 1 where none is better.

    Guo et al., On Calibration of Modern Neural Networks, 2017. As in Platt, Probabilistic Outputs for Support Vector
    Machines, 1999, no picture counts as quite certain, so that a few that are all right make nothing certain.

    Args:
        probabilities: float (n, classes), of pictures that nothing was trained on.
        labels: int (n,).
    """

    def surprise(log_temperature: float) -> float:
        logs = np.log(np.maximum(at_temperature(probabilities, float(np.exp(log_temperature))), LEAST))
        own = logs[np.arange(len(labels)), labels]
        others = (logs.sum(axis=1) - own) / (logs.shape[1] - 1)
        return float(-((1 - doubt) * own + doubt * others).mean())

    if not len(labels):
        return 1.0
    doubt = 1 / (len(labels) + 2)
    best = minimize_scalar(surprise, bounds=(np.log(0.1), np.log(10)), method="bounded")
    return float(np.exp(best.x)) if surprise(0.0) - best.fun > WORTH else 1.0


def at_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Returns probabilities (n, classes) less sure by a temperature above 1, and surer by one below."""
    if temperature == 1.0:
        return probabilities
    powers = np.maximum(probabilities, LEAST) ** (1 / temperature)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
