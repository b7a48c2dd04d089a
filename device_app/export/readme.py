"""The words that go with an export, for whoever finds the folder. In English, as its tables are."""

from __future__ import annotations

from device_app.export.tables import NOTICE

README = f"""Ulna: pictures for improving the model
=======================================

{NOTICE}.

What this is
  X-ray pictures of patients who agreed that they are used, without their names, to improve the model, and
  what the box and people said of them.

What is in it
  images/*.dcm   one picture each, built anew (DICOM CR or secondary capture, gray, not compressed)
  cases.jsonl    a line for each picture: answer of the box, thresholds, marked places, what people judged
  labels.csv     the pictures that a person has judged for certain: outcome first, else the last second
                 reading.
                 The box's own answers are no labels. A label is that of the whole examination: with more
                 than one view (column views) the fracture need not be seen in each
  SHA256SUMS     to check that all is whole: sha256sum -c SHA256SUMS

What was done so that nobody can be recognised (DICOM PS3.15 annex E, basic profile; clean pixel data; retain
patient characteristics)
  Nothing was copied from the received file but the pixels. Patients, studies and pictures have names made
  from a secret key of the box; the same patient has the same name in every export of that box. There are no
  dates. Ages are whole years, 90 for all who are older. Remarks that people wrote, file names, names of
  places and devices are not here. Writing beside the limb was blanked, pictures with writing over the limb
  were left out, and a person has looked at every picture before it left.

What remains
  A person who has seen a picture before may know it again. Do not publish it, do not try to find out whose it
  is, and keep it as carefully as a patient's record.

How to use it
  ulna data inspect THIS-FOLDER
  ulna train --from BUNDLE --data OLD --add THIS-FOLDER
"""
