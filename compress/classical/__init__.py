"""Classical baselines: texture and edge features for scikit-learn, in graphs like any network's."""
