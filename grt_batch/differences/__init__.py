"""How report sets differ, and which differences the gate holds back."""
