/** Names of instances, which claim bucket storage (O-69): a UID, or any name without spaces. */
export const INSTANCE_ID = /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,199}$/;
