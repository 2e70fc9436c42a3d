"""How hard the drawn pictures are: every constant that makes a picture easier or harder to name, in one place.

The shares are probabilities in [0, 1]; scales are relative to the half of the shorter side of the picture; angles are
in degrees.
"""

# Pose
SCALE = (0.70, 1.2)  # half the size of the subject: small in the distance to cut off by the frame
OFFSET = 0.30  # how far the subject's centre may lie from the middle, as a share of the room left and right of it
STRETCH = 0.18  # the subject is up to this much wider or narrower than drawn
SHEAR = 0.12
PERSPECTIVE = 0.15
TURN_FACTOR = 0.8  # multiplies each class's own range of rotation
LYING_SHARE = 0.04  # photos stored on their side or upside down: a quarter, half or three-quarter turn

# What else is in the picture
CLUTTER = (0, 3)  # shapes behind the subject, least and most
OCCLUDER_SHARE = 0.22  # pictures with something in front of the subject
OCCLUDERS = (1, 2)
ANY_PLACE_SHARE = 0.25  # backgrounds drawn from all kinds, not from those that are natural to the class
FRAME_SHARE = 0.05  # a border around the photo

# Light and camera
CAST = 0.12  # colour cast: each channel is multiplied by up to 1 +- this
EXPOSURE = (0.72, 1.25)
CONTRAST = (0.7, 1.15)
SHADOW_STRENGTH = 90  # of 255: unevenness of the light over the frame
GREY_SHARE = 0.05
TINTED_SHARE = 0.04  # sepia and the like
BLUR_SHARE = 0.25
BLUR_PX = (0.6, 2.6)
NOISE = (1.5, 9.0)  # standard deviation of the sensor noise in grey levels
TEXTURE_OBJECT = (0.03, 0.2)  # strength of the texture on the subject, 1 = the whole range
TEXTURE_BACKDROP = (0.04, 0.28)

# The file
LONG_SIDE_PX = (400, 600)
SMALL_SHARE = 0.03  # thumbnails of about 80x60
PNG_SHARE = 0.03
JPEG_QUALITY = (84, 91)
