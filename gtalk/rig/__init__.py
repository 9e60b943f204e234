"""The face as a rig: shapes on the face mesh, a person's rig, expressions, and how they meet the person's codes."""
