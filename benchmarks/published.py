"""Published regressions of perceived emotion on audio features.

T. Eerola, O. Lartillot and P. Toiviainen, "Prediction of multidimensional emotional ratings in music from audio using
multivariate regression models", ISMIR 2009: linear regressions on ratings of excerpts of film music.
"""

# axis of the emotion -> feature -> weight per standard deviation
PUBLISHED_WEIGHTS = {
    "arousal": {
        "rms_mean": 0.6664,
        "fluctuation_peak": 0.6099,
        "centroid": 0.4486,
        "spread": -0.4639,
        "entropy": 0.7056,
    },
    "valence": {
        "rms_std": -0.3161,
        "fluctuation_peak": 0.6099,
        "key_clarity": 0.8802,
        "mode": 0.4565,
        "novelty": 0.4015,
    },
}
