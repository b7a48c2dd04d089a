"""Classical baselines: texture and edge features scikit-learn's classifiers, graphs like any network's."""
