"""What reads an X-ray on the box: numpy and OpenCV, one inference engine, never torch."""
