-- kind: contract
-- compatible: no query names an index, and messages_in_order (0003) serves the same queries.
DROP INDEX messages_by_conversation;
