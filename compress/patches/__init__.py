"""Extra training windows: a conditional GAN that fills a hole in a real window, fractured or not."""
