"""Three invented states' lists and the travellers of the demo, all from one seed. `generate` is the way in."""
