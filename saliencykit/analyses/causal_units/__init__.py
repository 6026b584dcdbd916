"""Do the units that are named cause the prediction? (notebook 07)"""
