"""How large a step may be, as a pure function of where training stands: warm-up, plateau, linear decay."""


def rate_multiplier(step: int, steps: int, warmup_fraction: float, decay_fraction: float) -> float:
    """Share of the peak learning rate that step `step` of `steps` uses (both counted from 1), above 0 and at most 1.

    The rate climbs linearly over the first `warmup_fraction` of the steps, stays at its peak, and falls linearly over
    the last `decay_fraction`. It would reach 0 one step after the last: a step at rate 0 would be wasted.

    Source: the trapezoidal schedule, Hägele et al. 2024, "Scaling Laws and Compute-Optimal Training Beyond Fixed
    Training Durations", section 3, https://arxiv.org/abs/2405.18392

    Example:
        >>> [rate_multiplier(step, 10, 0.2, 0.4) for step in (1, 2, 6, 7, 9, 10)]
        [0.5, 1.0, 1.0, 1.0, 0.5, 0.25]
    """
    assert 1 <= step <= steps, f"step {step} of {steps}"
    warmup_steps = round(warmup_fraction * steps)
    decay_steps = round(decay_fraction * steps)
    rising = step / warmup_steps if warmup_steps else 1.0
    falling = (steps - step + 1) / decay_steps if decay_steps else 1.0
    return min(1.0, rising, falling)
