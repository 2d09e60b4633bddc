"""What a user would write instead of this product, fairly and idiomatically: only to be measured beside it.

None of it is a pattern to follow: whatever goes wrong between a call and its answer makes two invoices here, or none.
"""
