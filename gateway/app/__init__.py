"""The one place that builds things and knows every concrete class: the processes of a node and their supervisor."""
