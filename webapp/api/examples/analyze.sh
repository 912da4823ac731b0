# One picture, read at once; nothing of it is kept.
curl --fail-with-body --silent --show-error \
  --data-binary @face.jpg -H "Content-Type: image/jpeg" \
  "$MIEN_URL/api/v1/analyze"
