"""Keras models as graphs: read, traced and rebuilt.

    any Keras model --seeds.functional--> its graph --channels.trace--> Channels: which channels live and die together
                                               |
                                               +--rebuild.rebuild--> the same graph with other layers

Knows what each kind of layer does to channels (`table`, `rules`), and the private names of Keras (`_keras`, the only
file that may). Knows neither masks nor microcontrollers. Open `channels` first: it opens with the idea.
"""
