"""Speaks to an S3 server with boto3.

    s3.py URL create BUCKET
    s3.py URL fetch BUCKET DIRECTORY      writes every object into the directory
"""

import os
import sys

import boto3

url, command, bucket = sys.argv[1:4]
s3 = boto3.client(
    "s3",
    endpoint_url=url,
    region_name="us-east-1",
    aws_access_key_id="test",
    aws_secret_access_key="test",
)
if command == "create":
    s3.create_bucket(Bucket=bucket)
else:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    for item in (item for page in pages for item in page.get("Contents", [])):
        path = os.path.join(sys.argv[4], item["Key"])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read())
